"""The fitting stage: reads the tables of a study, applies `science`, writes fits, plan, backtest and noise as JSON."""
