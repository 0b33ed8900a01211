"""The suite's page: screens in a browser, kept live by pushed events, and the acts of people who signed in.

It reads by the typed answers of `gateway.control` alone, and tells by its acts; nothing here counts or stores.
"""
