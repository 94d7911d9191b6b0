"""Operations as values that can be done, undone and written as code."""
