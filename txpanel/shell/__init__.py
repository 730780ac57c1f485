"""The parts that the page is put together from; `txpanel.page.dashboard` and `txpanel.server.session_page` use them."""
