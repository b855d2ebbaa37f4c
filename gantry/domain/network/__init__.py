"""The network over time: random streams by cause, and the script of people and acts that everything replays."""
