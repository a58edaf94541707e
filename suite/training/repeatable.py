"""TensorFlow on the CPU, started so that a training repeats to the last bit on the same machine."""

import os

# Environment variables with these beginnings change kernels, compilers or precision; all are removed.
SWITCHES = ("TF_", "XLA_", "ONEDNN_", "DNNL_")
PINNED = {
    "KERAS_BACKEND": "tensorflow",
    # On a processor without AVX-512, TensorFlow leaves oneDNN off, and a convolution takes twice as long.
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "CUDA_VISIBLE_DEVICES": "-1",  # what a GPU computes does not repeat to the last bit
    "TF_CPP_MIN_LOG_LEVEL": "2",
}


def start_tensorflow(threads: int) -> None:
    """Starts TensorFlow and Keras in this process; if they run already, clears what Keras has built.

    threads: how many operations may run at a time. Each operation runs on one thread, so the result is the
    same with any number of threads. The first call in a process decides for all later calls.
    """
    for name in [name for name in os.environ if name.startswith(SWITCHES)]:
        del os.environ[name]
    os.environ |= PINNED
    import tensorflow as tf

    if tf.config.threading.get_intra_op_parallelism_threads() != 1:  # 1 if it was started before
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    import keras

    # A keras.json in the reader's home may say something else.
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    keras.backend.clear_session()
