"""The platform (互联网平台): takes the logs of terminals, checks every byte of them, and signs for what it holds."""
