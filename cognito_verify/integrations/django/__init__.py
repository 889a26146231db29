"""Django, and the REST framework on top of it: settings, system checks, a decorator, a middleware, authentication.

An application for `INSTALLED_APPS`; its settings are `COGNITO_VERIFY`.
"""
