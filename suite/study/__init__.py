"""What joins the rooms: trainings that are missing are done, and what their losses say is found out."""
