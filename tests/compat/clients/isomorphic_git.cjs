// isomorphic-git, driven: the command line is that of driving.py beside this file. NODE_PATH leads to the package.
"use strict";

const fs = require("node:fs");
const git = require("isomorphic-git");
const http = require("isomorphic-git/http/node");

const [REFUSED, CANNOT] = [1, 3];
const user = process.env.GUTS_USER || "nobody";
const token = process.env.GUTS_TOKEN || "";

class Cannot extends Error {}

// Asked when the node wants to know who this is; without it, or with a token that is not accepted, the status is said.
const auth = token ? { http, onAuth: () => ({ username: user, password: token }) } : { http };

const verbs = {
  async version() {
    console.log(git.version());
  },

  async ls(url) {
    for (const ref of await git.listServerRefs({ url, ...auth })) console.log(`${ref.oid} ${ref.ref}`);
  },

  async clone(url, dir, depth) {
    await git.clone({ fs, dir, url, depth: depth ? Number(depth) : undefined, ...auth });
  },

  async partial() {
    throw new Cannot("isomorphic-git has no partial clone");
  },

  async fetch(dir) {
    await git.fetch({ fs, dir, remote: "origin", tags: true, ...auth });
  },

  async commit(dir, filepath) {
    await git.add({ fs, dir, filepath });
    const author = { name: user, email: `${user}@example.test` };
    console.log(await git.commit({ fs, dir, message: "by isomorphic-git", author }));
  },

  async push(dir, url, ...refspecs) {
    if (process.env.GUTS_PUSH_OPTION) throw new Cannot("isomorphic-git has no push options");
    if (process.env.GUTS_PUSH_ATOMIC) throw new Cannot("isomorphic-git has no atomic push");
    for (const refspec of refspecs) await pushOne(dir, url, refspec);
  },
};

// It moves one ref at a time.
async function pushOne(dir, url, refspec) {
  const force = refspec.startsWith("+");
  const [ref, remoteRef] = refspec.replace(/^\+/, "").split(":");
  // To delete it wants the name of a ref that is here, too.
  const what = ref ? { ref, remoteRef, force } : { ref: "HEAD", remoteRef, delete: true };
  const result = await git.push({ fs, dir, url, ...what, ...auth });
  if (!result.ok) throw new Error(result.error || JSON.stringify(result.refs));
}

function shown(error) {
  const told = error.data && error.data.prettyDetails ? `: ${error.data.prettyDetails}` : "";
  const answered = error.data && error.data.response ? ` ${error.data.response}` : "";
  return `${error.name}: ${error.message}${told}${answered}`;
}

const [verb, ...words] = process.argv.slice(2);
verbs[verb](...words).catch((error) => {
  console.error(error instanceof Cannot ? error.message : shown(error));
  process.exitCode = error instanceof Cannot ? CANNOT : REFUSED;
});
