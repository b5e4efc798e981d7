"""Quality control of stored data (park standard 6.6 and 9.4): rules, the engine that runs them, and reviews."""
