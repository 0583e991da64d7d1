"""What a labelled page is, where pages come from, whether they can be trusted, and how they are split."""
