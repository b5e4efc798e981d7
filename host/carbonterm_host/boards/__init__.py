"""Boards: what boards/<name>/board.toml says, the images that are made of it, and how these get onto a board."""
