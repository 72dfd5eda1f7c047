"""The evaluation of answers: runs of the ten scenarios and their variants, scores and report."""
