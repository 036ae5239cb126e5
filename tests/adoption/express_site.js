// The old site: express, express-session and passport. Its store and its options are in the environment.
const express = require("express");
const session = require("express-session");
const passport = require("passport");

const stores = {
  async redis(port) {
    const client = require("redis").createClient({ url: `redis://127.0.0.1:${port}/0` });
    await client.connect();
    const { RedisStore } = require("connect-redis");
    return new RedisStore({ client });
  },
  async postgresql(port) {
    const PgStore = require("connect-pg-simple")(session);
    const conObject = { host: "127.0.0.1", port, user: "postgres", database: "postgres" };
    return new PgStore({ conObject, createTableIfMissing: true });
  },
  async mariadb(port) {
    const MySQLStore = require("express-mysql-session")(session);
    const store = new MySQLStore({ host: "127.0.0.1", port, user: "root", database: "test" });
    await store.onReady();
    return store;
  },
};

async function main() {
  const store = await stores[process.env.STORE](Number(process.env.STORE_PORT));
  const app = express();
  app.use(session({ resave: false, saveUninitialized: false, store, ...JSON.parse(process.env.OPTIONS) }));
  app.use(passport.session());
  passport.serializeUser((user, done) => done(null, user.id));
  passport.deserializeUser((id, done) => done(null, { id }));

  app.get("/ready", (request, response) => response.json({}));
  app.get("/login", (request, response, next) => {
    const { id } = request.query;
    request.login({ id: Number(id) || id }, (error) => (error ? next(error) : response.json({})));
  });
  app.get("/put", (request, response) => {
    request.session.cart = (request.query.fruit ?? "apples,Bücher").split(",");
    response.json({});
  });
  app.get("/logout", (request, response, next) => {
    request.session.destroy((error) => (error ? next(error) : response.json({})));
  });
  app.get("/show", (request, response) => {
    response.json({ cart: request.session.cart ?? null, user: request.user?.id ?? null });
  });
  app.listen(Number(process.env.PORT), "127.0.0.1");
}

main();
