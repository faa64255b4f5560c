import { useFeedState, useSession } from "../context";
import type { FeedState } from "../live/feed";
import type { Theme } from "../session";
import { Logo, ThemeButton } from "./Brand";

const PAGES = [
  ["tasks", "Tasks"],
  ["submit", "Submit"],
  ["dead-letters", "Dead letters"],
  ["workers", "Workers"],
] as const;

const STATES: Record<FeedState, [string, string]> = {
  connecting: ["Connecting", "The page is connecting to the feed of changes"],
  streaming: ["Live", "Changes arrive as they happen, by server-sent events"],
  polling: ["Live", "Changes arrive as they happen, by long-polling"],
  offline: ["Offline", "The API is not responding. The page will try again."],
  paused: ["Paused", "The page is hidden and sends no requests"],
};

export function Header({ page, theme, toggleTheme }: { page: string; theme: Theme; toggleTheme: () => void }) {
  const { signOut } = useSession();
  const state = useFeedState();
  const [word, description] = STATES[state];
  return (
    <header className="top">
      <div className="wide">
        <a className="brand" href="#/tasks" aria-label="AI Mesh, all tasks">
          <Logo />
          <span>AI Mesh</span>
        </a>
        <nav aria-label="Pages">
          {PAGES.map(([name, title]) => (
            <a key={name} href={`#/${name}`} aria-current={name === page ? "page" : undefined}>
              {title}
            </a>
          ))}
        </nav>
        <div className="aside">
          <span className={`live ${state}`} title={description} role="status">
            <span className="dot" aria-hidden="true" />
            <span className="word">{word}</span>
          </span>
          <a className="quiet" href="docs" target="_blank" rel="noreferrer">
            API
          </a>
          <ThemeButton theme={theme} toggle={toggleTheme} />
          <button type="button" className="quiet" onClick={signOut}>
            Sign out
          </button>
        </div>
      </div>
    </header>
  );
}
