// Makes the page from the API's OpenAPI document. Text is inserted as text, never as markup.
"use strict";

const TOKEN = "ai-mesh-token";
let api;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// The target of a reference, or the thing itself.
function resolve(thing) {
  if (!thing || !thing.$ref) return thing;
  const steps = thing.$ref.slice(2).split("/");
  return steps.reduce((found, step) => found[step.replace(/~1/g, "/").replace(/~0/g, "~")], api);
}

function nameOf(thing) {
  return thing && thing.$ref ? thing.$ref.split("/").pop() : (thing && thing.title) || "";
}

// Text whose parts between backquotes become <code>.
function prose(text) {
  const parts = String(text || "").split("`");
  return parts.map((part, at) => (at % 2 ? element("code", {}, part) : part));
}

function anchor(method, path) {
  return method + path.replace(/[^a-z]+/gi, "-");
}

// Describes the bounds of a value.
function bounds(schema) {
  const parts = [];
  const between = (low, high, unit) => {
    if (low !== undefined && high !== undefined) parts.push(`${low} to ${high}${unit}`);
    else if (low !== undefined) parts.push(`from ${low}${unit}`);
    else if (high !== undefined) parts.push(`up to ${high}${unit}`);
  };
  between(schema.minimum, schema.maximum, "");
  if (schema.exclusiveMinimum !== undefined) parts.push(`above ${schema.exclusiveMinimum}`);
  between(schema.minLength, schema.maxLength, " characters");
  between(schema.minItems, schema.maxItems, " items");
  between(schema.minProperties, schema.maxProperties, " members");
  if (schema.enum) parts.push(schema.enum.map((one) => JSON.stringify(one)).join(" | "));
  if (schema.const !== undefined) parts.push(JSON.stringify(schema.const));
  if (schema.format) parts.push(schema.format);
  if (schema.default !== undefined) parts.push(`default ${JSON.stringify(schema.default)}`);
  return parts.length ? ` (${parts.join(", ")})` : "";
}

// A schema as a tree whose nodes are made when they are opened, because schemas may refer to themselves.
function schemaTree(label, given, required) {
  const schema = resolve(given) || {};
  const options = schema.oneOf || schema.anyOf || schema.allOf;
  const parts = [];
  if (schema.properties) {
    for (const [name, of] of Object.entries(schema.properties)) {
      parts.push([name, of, (schema.required || []).includes(name)]);
    }
  }
  if (options) options.forEach((of, at) => parts.push([nameOf(of) || `choice ${at + 1}`, of, false]));
  if (schema.items) parts.push(["each item", schema.items, false]);
  if (typeof schema.additionalProperties === "object") parts.push(["each other member", schema.additionalProperties, false]);
  const types = options ? "one of" : [].concat(schema.type || "").join(" | ");
  const head = [
    element("code", {}, label),
    required ? element("span", { class: "must", title: "required" }, " *") : null,
    " ",
    element("span", { class: "type" }, `${nameOf(given)} ${types}`.trim() + bounds(schema)),
    schema.description ? element("span", { class: "note" }, " ", ...prose(schema.description)) : null,
  ];
  if (!parts.length) return element("div", {}, ...head);
  const list = element("ul");
  const tree = element("details", { class: "schema" }, element("summary", {}, ...head), list);
  tree.addEventListener("toggle", () => {
    if (tree.open && !list.childElementCount) {
      parts.forEach(([name, of, must]) => list.append(element("li", {}, schemaTree(name, of, must))));
    }
  });
  return tree;
}

function responsesTable(operation) {
  const rows = Object.entries(operation.responses).map(([status, given]) => {
    const response = resolve(given);
    const bodies = Object.entries(response.content || {}).map(([type, body]) => schemaTree(type, body.schema, false));
    const headers = Object.keys(response.headers || {}).join(", ");
    return element(
      "tr", {},
      element("td", {}, element("code", {}, status)),
      element("td", {}, ...prose(response.description), ...bodies,
        headers ? element("div", { class: "note" }, "Headers: ", element("code", {}, headers)) : null),
    );
  });
  return element("table", {}, ...rows);
}

// The body of an operation, if it takes one: JSON, or a form.
function bodyOf(operation) {
  const [type, content] = Object.entries((operation.requestBody || {}).content || {})[0] || [];
  return content && { content, schema: resolve(content.schema), isForm: type === "multipart/form-data" };
}

// The example bodies of an operation.
function exampleBodies({ content, schema }) {
  if (content.examples) return Object.entries(content.examples).map(([name, one]) => [name, one.value]);
  const one = content.example || schema.example || (schema.examples || [{}])[0];
  return [["example", one]];
}

// A form's fields, as a table, and a function that reads them.
function formOf(schema) {
  const fields = Object.entries(schema.properties).map(([name, of]) => {
    const input = element("input", { type: of.contentMediaType ? "file" : "text", "aria-label": name });
    return { name, of, input };
  });
  const rows = fields.map(({ name, of, input }) => element(
    "tr", {},
    element("td", {}, element("code", {}, name)),
    element("td", {}, input, element("div", { class: "note" }, ...prose(of.description))),
  ));
  const value = () => {
    const form = new FormData();
    for (const { name, input } of fields) {
      const given = input.type === "file" ? input.files[0] : input.value;
      if (given) form.append(name, given);
    }
    return form;
  };
  return { shown: element("table", {}, ...rows), value };
}

function tryIt(method, path, operation) {
  const fields = (operation.parameters || []).map((parameter) => {
    const schema = resolve(parameter.schema) || {};
    const input = schema.enum
      ? element("select", { "aria-label": parameter.name }, element("option", { value: "" }, ""), ...schema.enum.map((one) => element("option", {}, one)))
      : element("input", { "aria-label": parameter.name, spellcheck: "false", autocomplete: "off" });
    if (schema.type === "object") input.setAttribute("placeholder", "name=value&name=value");
    return { parameter, input, isObject: schema.type === "object", schema };
  });
  const rows = fields.map(({ parameter, input, schema }) => element(
    "tr", {},
    element("td", {}, element("code", {}, parameter.name),
      parameter.required ? element("span", { class: "must" }, " *") : null,
      element("div", { class: "note" }, parameter.in)),
    element("td", {}, input, element("div", {}, element("span", { class: "type" }, schema.type || "", bounds(schema)), " ",
      ...prose(parameter.description))),
  ));
  const given = bodyOf(operation);
  let body = null;
  let choice = null;
  let content = () => undefined;
  if (given && given.isForm) {
    const form = formOf(given.schema);
    body = form.shown;
    content = form.value;
  } else if (given) {
    const bodies = exampleBodies(given);
    const text = element("textarea", { spellcheck: "false", "aria-label": "Request body" });
    body = text;
    content = () => text.value;
    const show = (at) => { text.value = JSON.stringify(bodies[at][1], null, 2); };
    show(0);
    if (bodies.length > 1) {
      const options = bodies.map(([name], at) => element("option", { value: at }, name));
      choice = element("select", { "aria-label": "Example", onchange: () => show(choice.value) }, ...options);
    }
  }
  const answer = element("div", { "aria-live": "polite" });
  const send = async () => {
    answer.replaceChildren(element("p", { class: "note" }, "…"));
    answer.replaceChildren(...(await call(method, path, fields, content())));
  };
  return [
    rows.length ? element("table", {}, ...rows) : null,
    body ? element("h3", {}, "Body") : null,
    choice,
    body,
    element("p", {}, element("button", { type: "button", onclick: send }, "Send")),
    answer,
  ];
}

// Sends the request that the fields describe, and shows the response.
async function call(method, path, fields, body) {
  const headers = {};
  const query = new URLSearchParams();
  let address = path;
  for (const { parameter, input, isObject } of fields) {
    if (!input.value && parameter.in !== "path") continue;
    if (parameter.in === "path") address = address.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (parameter.in === "header") headers[parameter.name] = input.value;
    else if (isObject) new URLSearchParams(input.value).forEach((value, name) => query.append(name, value));
    else query.append(parameter.name, input.value);
  }
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers["X-Service-Token"] = token;
  // For a form the browser sets it, because it chooses the boundary between the parts.
  if (typeof body === "string") headers["Content-Type"] = "application/json";
  if (query.size) address += `?${query}`;
  const begun = performance.now();
  try {
    // Relative to this page, so that a stage in the path is kept.
    const response = await fetch(`.${address}`, { method: method.toUpperCase(), headers, body });
    const text = await response.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it is */ }
    const took = Math.round(performance.now() - begun);
    const id = response.headers.get("x-request-id") || "";
    return [
      element("p", response.ok ? {} : { class: "failed" }, `${response.status} in ${took} ms, request ${id}`),
      element("pre", {}, shown),
    ];
  } catch (error) {
    return [element("p", { class: "failed" }, `No answer: ${error.message}`)];
  }
}

function drawOperation(method, path, operation) {
  const inside = element("div");
  const drawn = element(
    "details", { class: "operation", id: anchor(method, path) },
    element("summary", {}, element("span", { class: `method ${method}` }, method.toUpperCase()), element("code", {}, path),
      element("span", { class: "summary" }, ...prose(operation.summary), operation.deprecated ? " (deprecated)" : "")),
    inside,
  );
  drawn.addEventListener("toggle", () => {
    if (!drawn.open || inside.childElementCount) return;
    const body = bodyOf(operation);
    inside.append(...[
      operation.description ? element("p", {}, ...prose(operation.description)) : null,
      body ? element("h3", {}, "Request") : null,
      body ? schemaTree("body", body.content.schema, true) : null,
      element("h3", {}, "Responses"),
      responsesTable(operation),
      element("h3", {}, "Try it"),
      ...tryIt(method, path, operation),
    ].filter(Boolean));
  });
  return drawn;
}

function draw() {
  document.getElementById("about").textContent = `${api.info.description} Version ${api.info.version}.`;
  const operations = document.getElementById("operations");
  const index = document.getElementById("index");
  operations.replaceChildren();
  for (const tag of api.tags) {
    const drawn = [];
    for (const [path, item] of Object.entries(api.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        if (!(operation.tags || []).includes(tag.name)) continue;
        drawn.push(drawOperation(method, path, operation));
        const label = element("span", { class: `method ${method}` }, method.toUpperCase());
        index.append(element("a", { href: `#${anchor(method, path)}` }, label, element("code", {}, path)));
      }
    }
    operations.append(element("h2", {}, tag.name), element("p", { class: "note" }, tag.description), ...drawn);
  }
  openAddressed();
}

function openAddressed() {
  const addressed = document.getElementById(location.hash.slice(1));
  if (addressed && addressed.tagName === "DETAILS") {
    addressed.open = true;
    addressed.scrollIntoView();
  }
}

async function begin() {
  const token = document.getElementById("token");
  token.value = sessionStorage.getItem(TOKEN) || "";
  token.addEventListener("input", () => sessionStorage.setItem(TOKEN, token.value));
  document.getElementById("access").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", openAddressed);
  try {
    const response = await fetch("openapi.json");
    if (!response.ok) throw new Error(`its status is ${response.status}`);
    api = await response.json();
    draw();
  } catch (error) {
    const message = `openapi.json can't be read: ${error.message}`;
    document.getElementById("operations").replaceChildren(element("p", { class: "failed" }, message));
  }
}

begin();
