"""The hiring audit: does background change decisions, and do stated reasons account for it?"""
