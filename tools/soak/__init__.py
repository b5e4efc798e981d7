"""A soak in simulated time: the firmware's own tasks, every protocol, every fault, a day in some minutes."""
