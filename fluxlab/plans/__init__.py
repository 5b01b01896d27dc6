"""Plans: `reading` makes them, `rules` judges them, `diff` compares, `views` shows them."""
