"""Policies that choose routes: the game they play, its environments, and how they are trained.

The game is compiled (`episodes`, `batch`); `environments` shows it to Gymnasium.
"""
