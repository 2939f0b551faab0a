"""What a careless or hostile world hands over: the whole harness holds."""
