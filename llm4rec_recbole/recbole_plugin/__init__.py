"""What this project adds to RecBole, at the places where RecBole looks for it."""
