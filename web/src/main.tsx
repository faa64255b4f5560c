import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { App } from "./App";
import "./style/base.css";
import "./style/layout.css";
import "./style/parts.css";
import "./style/pages.css";
import "./style/results.css";

const root = document.getElementById("root");
if (root) {
  // What is caught is shown in the page; the console keeps where it came from.
  createRoot(root, { onCaughtError: (error) => console.warn(error) }).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
