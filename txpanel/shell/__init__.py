"""The parts that the page is put together from; `txpanel.dashboard` and `txpanel.app` use them."""
