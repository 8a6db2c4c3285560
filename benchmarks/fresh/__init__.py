"""Measurements that each need a process of their own: start-up time and memory."""
