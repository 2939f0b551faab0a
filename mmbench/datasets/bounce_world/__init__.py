"""The world of the dataset bounce: scenes, physics, pictures and sounds made by code."""
