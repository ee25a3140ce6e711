"""What is being designed: networks, the accelerator, plans, schedules and probes."""
