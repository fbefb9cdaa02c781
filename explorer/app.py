"""The app: `streamlit run explorer/app.py`.

One file in two roles. Streamlit imports it once as the server's launcher, then runs it as the
script for every page view; the tests' AppTest needs both to be the same file.
"""

if __name__ == "__main__":
    from explorer.ui.shell import show_app

    show_app()
else:
    import streamlit as st
    from starlette.middleware import Middleware

    from explorer.live.guard import Guard
    from explorer.live.route import live_routes
    from explorer.live.server import live_lifespan
    from explorer.ui.access import streamlit_access
    from explorer.ui.uploads import UploadBudget, end_left_sessions

    access = streamlit_access()
    base_path = st.get_option("server.baseUrlPath") or ""
    app = st.App(
        __file__,
        routes=live_routes(base_path, access),
        middleware=[Middleware(Guard, access=access), Middleware(UploadBudget)],
        lifespan=live_lifespan(
            base_path=base_path,
            open_browser=not st.get_option("server.headless"),
            sweep=end_left_sessions,
        ),
    )
