// The frame around the pages: who is signed in, where one is, in which theme.

import { useEffect, useMemo, useRef, useState } from "react";

import { Client, Problem } from "./api/client";
import { type Session, SessionContext, useMedia, useTitle } from "./context";
import { Feed } from "./live/feed";
import { Telemetry } from "./live/telemetry";
import { DeadLetters } from "./pages/DeadLetters";
import { SignIn } from "./pages/SignIn";
import { Submit } from "./pages/Submit";
import { TaskList } from "./pages/TaskList";
import { TaskPage } from "./pages/TaskPage";
import { Workers } from "./pages/Workers";
import { Header } from "./parts/Header";
import { Kept } from "./pages/kept";
import { Boundary } from "./parts/Boundary";
import { Refusal } from "./parts/Notice";
import { type Route, hasReturned, parse, useHash } from "./route";
import * as session from "./session";

export function App() {
  const [token, setToken] = useState(session.token);
  const [isExpired, setExpired] = useState(false);
  const [chosen, setChosen] = useState(session.theme);
  const prefersDark = useMedia("(prefers-color-scheme: dark)");
  const theme = chosen ?? (prefersDark ? "dark" : "light");
  useEffect(() => {
    document.documentElement.dataset["theme"] = theme;
  }, [theme]);
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
  const toggle = () => {
    const other = theme === "dark" ? "light" : "dark";
    session.keepTheme(other);
    setChosen(other);
  };
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
    setLive({ client, feed, telemetry, kept: new Kept(feed), signOut: () => latest.current("asked") });
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
    // As a browser does with a new page: at its top, and read out from there. Back leads to where one was.
    if (!hasReturned()) window.scrollTo(0, 0);
    if (!main.current?.contains(document.activeElement)) main.current?.focus({ preventScroll: true });
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
        <Boundary key={place} instead={(error) => <Broken error={error} />}>
          <Page route={route} />
        </Boundary>
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
  return <NoPage />;
}

function NoPage() {
  useTitle("No such page");
  return (
    <div className="wide page">
      <h1>There is no such page</h1>
      <p>
        <a href="#/tasks">All tasks</a>
      </p>
    </div>
  );
}

/** In place of a page that could not be drawn. */
function Broken({ error }: { error: unknown }) {
  const told = error instanceof Error ? error.message : String(error);
  return (
    <div className="wide page">
      <h1>This page can’t be shown</h1>
      <Refusal
        error={new Problem(0, "The dashboard met what it does not know", `It may be older than the stack. (${told})`)}
        retry={() => window.location.reload()}
      />
    </div>
  );
}
