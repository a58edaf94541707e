"""Adam, in one TensorFlow operation for each variable.

Keras takes a dozen small operations for each: an epoch of dense4_10c took 0.91 s with them, 0.76 s with one.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

if TYPE_CHECKING:
    import keras


def rate_of_epoch(epoch: int, first: float, epochs: int) -> float:
    """The learning rate of epoch 1 to `epochs`. It falls in equal steps from `first` to first / epochs."""
    return first * (1 - (epoch - 1) / epochs)


class Adam:
    """Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization", section 2, with Keras' constants.

    As in Keras, epsilon is added to the root of the uncorrected second moment, the paper's "epsilon hat".
    """

    BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7

    def __init__(self, variables: Sequence["keras.Variable"], learning_rate: "float | tf.Variable") -> None:
        self.learning_rate = learning_rate
        self.variables = [variable.value for variable in variables]
        self.moments = [
            [tf.Variable(tf.zeros_like(variable)) for _ in range(2)] for variable in self.variables
        ]
        self.steps = tf.Variable(0.0)

    def apply(self, gradients: Sequence[tf.Tensor]) -> None:
        """Takes one step. gradients: one for each variable, in the variables' order and shapes."""
        self.steps.assign_add(1.0)
        for variable, gradient, (first, second) in zip(self.variables, gradients, self.moments, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=first.handle,
                v=second.handle,
                beta1_power=self.BETA_1**self.steps,
                beta2_power=self.BETA_2**self.steps,
                lr=self.learning_rate,
                beta1=self.BETA_1,
                beta2=self.BETA_2,
                epsilon=self.EPSILON,
                grad=gradient,
            )
