"""Operations on a deployment: one file per verb."""
