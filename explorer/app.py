"""The app: `streamlit run explorer/app.py`.

One file in two roles. Streamlit imports it once as the server's launcher, then runs it as the
script for every page view; the tests' AppTest needs both to be the same file.
"""

if __name__ == "__main__":
    from explorer.ui.shell import show_app

    show_app()
else:
    from pathlib import Path

    import streamlit as st
    from starlette.middleware import Middleware

    from explorer.live.guard import Guard
    from explorer.live.route import live_routes
    from explorer.live.server import live_lifespan, page_routes
    from explorer.ui.access import streamlit_access
    from explorer.ui.addresses import DEFAULT_PAGE, OTHER_PAGES, page_path
    from explorer.ui.uploads import UploadBudget, end_left_sessions

    access = streamlit_access()
    base_path = st.get_option("server.baseUrlPath") or ""
    app = st.App(
        __file__,
        routes=[
            *live_routes(base_path, access),
            *page_routes(
                Path(st.__file__).with_name("static") / "index.html",
                base_path=base_path,
                default=page_path(DEFAULT_PAGE),
                others=[page_path(name) for name in OTHER_PAGES],
            ),
        ],
        middleware=[Middleware(Guard, access=access), Middleware(UploadBudget)],
        lifespan=live_lifespan(
            base_path=base_path,
            open_browser=not st.get_option("server.headless"),
            sweep=end_left_sessions,
        ),
    )
