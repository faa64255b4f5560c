// The frame around the pages: sign-in, routing and the theme.

import { useEffect, useMemo, useRef, useState } from "react";

import { Client, Problem } from "./api/client";
import { Boundary } from "./components/Boundary";
import { Header } from "./components/Header";
import { ErrorNotice } from "./components/Notice";
import { type Session, SessionContext } from "./context";
import { useMedia, useTitle } from "./hooks";
import { Feed } from "./live/feed";
import { ListCache } from "./live/listCache";
import { Telemetry } from "./live/telemetry";
import { DeadLetters } from "./pages/DeadLetters";
import { SignIn } from "./pages/SignIn";
import { Submit } from "./pages/Submit";
import { TaskList } from "./pages/TaskList";
import { TaskPage } from "./pages/TaskPage";
import { Workers } from "./pages/Workers";
import { type Route, hasReturned, parse, useHash } from "./route";
import * as session from "./session";

export function App() {
  const [token, setToken] = useState(session.token);
  const [isExpired, setExpired] = useState(false);
  const [chosenTheme, setChosenTheme] = useState(session.theme);
  const prefersDark = useMedia("(prefers-color-scheme: dark)");
  const theme = chosenTheme ?? (prefersDark ? "dark" : "light");
  useEffect(() => {
    document.documentElement.dataset["theme"] = theme;
  }, [theme]);
  const signOut = (reason: "user" | "unauthorized") => {
    session.forgetToken();
    setExpired(reason === "unauthorized");
    setToken(null);
  };
  const signIn = (accepted: string) => {
    session.storeToken(accepted);
    setExpired(false);
    setToken(accepted);
  };
  const toggle = () => {
    const other = theme === "dark" ? "light" : "dark";
    session.storeTheme(other);
    setChosenTheme(other);
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
  signOut: (reason: "user" | "unauthorized") => void;
  theme: session.Theme;
  toggleTheme: () => void;
}) {
  const latest = useRef(signOut);
  useEffect(() => {
    latest.current = signOut;
  });
  const [live, setLive] = useState<Session | null>(null);
  useEffect(() => {
    const client = new Client(token, () => latest.current("unauthorized"));
    const feed = new Feed(client);
    const telemetry = new Telemetry(client);
    setLive({ client, feed, telemetry, listCache: new ListCache(feed), signOut: () => latest.current("user") });
    feed.start();
    telemetry.start();
    return () => {
      feed.stop();
      telemetry.stop();
    };
  }, [token]);
  const hash = useHash();
  const route = useMemo(() => parse(hash), [hash]);
  const path = route.path.join("/");
  const main = useRef<HTMLElement>(null);
  const before = useRef(path);
  useEffect(() => {
    if (before.current === path) return;
    before.current = path;
    // A new page begins at its top and takes the focus, as a browser does. Back restores the former scroll position.
    if (!hasReturned()) window.scrollTo(0, 0);
    if (!main.current?.contains(document.activeElement)) main.current?.focus({ preventScroll: true });
  }, [path]);
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
      <Header page={route.path[0] ?? "tasks"} theme={theme} toggleTheme={toggleTheme} />
      <main ref={main} tabIndex={-1}>
        <Boundary key={path} fallback={(error) => <PageError error={error} />}>
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
  return <NotFound />;
}

function NotFound() {
  useTitle("Page not found");
  return (
    <div className="wide page">
      <h1>Page not found</h1>
      <p>
        <a href="#/tasks">All tasks</a>
      </p>
    </div>
  );
}

/** Replaces a page that threw an error while it was rendered. */
function PageError({ error }: { error: unknown }) {
  const message = error instanceof Error ? error.message : String(error);
  return (
    <div className="wide page">
      <h1>This page can’t be shown</h1>
      <ErrorNotice
        error={
          new Problem(
            0,
            "The dashboard received unexpected data",
            `It may be older than the stack: reload it. (${message})`,
          )
        }
        retry={() => window.location.reload()}
      />
    </div>
  );
}
