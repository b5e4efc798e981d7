"""Activity data to emissions: methods and factors as data, evaluated exactly."""
