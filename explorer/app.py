"""The app: `streamlit run explorer/app.py`.

One file in two roles. Streamlit imports it once as the server's launcher, then runs it as the
script for every page view; the tests' AppTest needs both to be the same file.
"""

if __name__ == "__main__":
    from explorer.ui.shell import show_app

    show_app()
else:
    import streamlit as st

    from explorer.live.route import live_routes
    from explorer.live.server import live_lifespan

    app = st.App(
        __file__,
        routes=live_routes(st.get_option("server.baseUrlPath") or ""),
        lifespan=live_lifespan,
    )
