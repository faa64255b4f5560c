import type { Theme } from "../session";

export function Logo() {
  return (
    <svg className="logo" viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
      <rect width="32" height="32" rx="8" />
      <path d="M9 10l14 3M9 10l4 13M23 13L13 23" />
      <circle cx="9" cy="10" r="3.2" />
      <circle cx="23" cy="13" r="3.2" />
      <circle cx="13" cy="23" r="3.2" />
    </svg>
  );
}

export function ThemeButton({ theme, toggle }: { theme: Theme; toggle: () => void }) {
  const other = theme === "dark" ? "light" : "dark";
  return (
    <button
      type="button"
      className="icon"
      onClick={toggle}
      aria-label={`Use the ${other} theme`}
      title={`Use the ${other} theme`}
    >
      <svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true">
        {theme === "dark" ? (
          <>
            <circle cx="12" cy="12" r="4.2" />
            <path d="M12 2.5v3M12 18.5v3M2.5 12h3M18.5 12h3M5.3 5.3l2.1 2.1M16.6 16.6l2.1 2.1M5.3 18.7l2.1-2.1M16.6 7.4l2.1-2.1" />
          </>
        ) : (
          <path d="M20 14.5A8.3 8.3 0 0 1 9.5 4a8.3 8.3 0 1 0 10.5 10.5z" />
        )}
      </svg>
    </button>
  );
}
