"""The evaluation of answers: the ten scenarios and their variants, asked, scored and reported."""
