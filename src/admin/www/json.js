// JSON for reading: indented, every token as it was written. JSON.parse would round a 19-digit id, drop the zero of
// 9.990 and sort members named like numbers first.
function prettyJson(text) {
  try { JSON.parse(text); } catch (e) { return text; }
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) || [];
  let out = "", indent = "";
  tokens.forEach((token, i) => {
    const empty = /[{[]/.test(token) && /[}\]]/.test(tokens[i + 1] || "");
    if (token === "{" || token === "[") {
      out += token;
      if (!empty) out += "\n" + (indent += "  ");
    } else if (token === "}" || token === "]") {
      if (!/[{[]/.test(tokens[i - 1])) out += "\n" + (indent = indent.slice(2));
      out += token;
    } else {
      out += token === "," ? `,\n${indent}` : token === ":" ? ": " : token;
    }
  });
  return out;
}
