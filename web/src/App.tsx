// The frame around the pages: who is signed in, where one is, in which theme.

import { useEffect, useMemo, useRef, useState } from "react";

import { Client } from "./api/client";
import { type Session, SessionContext } from "./context";
import { Feed } from "./live/feed";
import { Telemetry } from "./live/telemetry";
import { DeadLetters } from "./pages/DeadLetters";
import { SignIn } from "./pages/SignIn";
import { Submit } from "./pages/Submit";
import { TaskList } from "./pages/TaskList";
import { TaskPage } from "./pages/TaskPage";
import { Workers } from "./pages/Workers";
import { Header } from "./parts/Header";
import { Empty } from "./parts/Notice";
import { type Route, parse, useHash } from "./route";
import * as session from "./session";

export function App() {
  const [token, setToken] = useState(session.token);
  const [isExpired, setExpired] = useState(false);
  const [theme, setTheme] = useState(session.theme);
  useEffect(() => session.setTheme(theme), [theme]);
  const signOut = (because: "asked" | "refused") => {
    session.forgetToken();
    setExpired(because === "refused");
    setToken(null);
  };
  const signIn = (given: string) => {
    session.keepToken(given);
    setExpired(false);
    setToken(given);
  };
  const toggle = () => setTheme(theme === "dark" ? "light" : "dark");
  return token === null ? (
    <SignIn isExpired={isExpired} signIn={signIn} theme={theme} toggleTheme={toggle} />
  ) : (
    <SignedIn key={token} token={token} signOut={signOut} theme={theme} toggleTheme={toggle} />
  );
}

function SignedIn({
  token,
  signOut,
  theme,
  toggleTheme,
}: {
  token: string;
  signOut: (because: "asked" | "refused") => void;
  theme: session.Theme;
  toggleTheme: () => void;
}) {
  const latest = useRef(signOut);
  useEffect(() => {
    latest.current = signOut;
  });
  const [live, setLive] = useState<Session | null>(null);
  useEffect(() => {
    const client = new Client(token, () => latest.current("refused"));
    const feed = new Feed(client);
    const telemetry = new Telemetry(client);
    setLive({ client, feed, telemetry, signOut: () => latest.current("asked") });
    feed.start();
    telemetry.start();
    return () => {
      feed.stop();
      telemetry.stop();
    };
  }, [token]);
  const hash = useHash();
  const route = useMemo(() => parse(hash), [hash]);
  const place = route.path.join("/");
  const main = useRef<HTMLElement>(null);
  const before = useRef(place);
  useEffect(() => {
    if (before.current === place) return;
    before.current = place;
    // As a browser does with a new page: at its top, and read out from there.
    window.scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [place]);
  if (!live) return null;
  return (
    <SessionContext value={live}>
      <a
        className="skip"
        href={hash || "#/"}
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        Skip to the page
      </a>
      <Header place={route.path[0] ?? "tasks"} theme={theme} toggleTheme={toggleTheme} />
      <main ref={main} tabIndex={-1}>
        <Page route={route} />
      </main>
    </SessionContext>
  );
}

function Page({ route }: { route: Route }) {
  const [page, id] = route.path;
  if (page === "tasks" && id !== undefined) return <TaskPage key={id} id={id} />;
  if (page === "tasks") return <TaskList query={route.query} />;
  if (page === "submit") return <Submit query={route.query} />;
  if (page === "dead-letters") return <DeadLetters />;
  if (page === "workers") return <Workers />;
  return (
    <Empty title="There is no such page">
      <a href="#/tasks">All tasks</a>
    </Empty>
  );
}
