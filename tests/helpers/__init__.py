"""Data, fixtures and checks that tests of several areas share."""
