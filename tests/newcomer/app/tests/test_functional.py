from myapp import models


def test_my_view_success(testapp, dbsession):
    dbsession.add(models.MyModel(name="one", value=55))
    dbsession.flush()
    page = testapp.get("/", status=200)
    assert "one is 55" in page.text
    assert "Set-Cookie" not in page.headers


def test_notfound(testapp):
    page = testapp.get("/badurl", status=404)
    assert "404" in page.text
