"""Search. Every answer is judged by the domain."""
