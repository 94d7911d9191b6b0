"""Events of one actor: those that its roles emit, and those that they listen to."""
