"""The feature networks, and how their input is made."""
