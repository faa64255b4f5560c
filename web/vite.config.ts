import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  // The page's address has a prefix that is not known here: a stage, or a local cloud's path.
  base: "./",
  build: {
    outDir: process.env["AI_MESH_WEB_OUT"] ?? "dist",
    emptyOutDir: true,
    target: "es2022",
    // The page's policy takes no data: addresses.
    assetsInlineLimit: 0,
    // The few files are loaded by the page itself.
    modulePreload: false,
    // React's licence asks that its notice travels along.
    rolldownOptions: { output: { comments: { legal: true } } },
  },
});
