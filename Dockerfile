# The server and its worker for production: they expect PostgreSQL, a bucket and Redis from outside (docker-compose.yml).
# The embedded database of `npm start` is left out.

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY protocol/package.json protocol/
COPY server/package.json server/
COPY client-cli/package.json client-cli/
RUN npm ci --ignore-scripts
COPY scripts/build.mjs scripts/
COPY protocol protocol
COPY server server
COPY client-cli client-cli
RUN node scripts/build.mjs

FROM node:24-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY protocol/package.json protocol/
COPY server/package.json server/
COPY client-cli/package.json client-cli/
RUN npm ci --ignore-scripts --omit=dev --omit=optional --workspace server

FROM node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8787 CAIRN_HOME=/var/lib/cairn
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY --from=build /app/server/dist server/dist
COPY package.json LICENSE ./
COPY server/package.json server/
COPY server/bin server/bin
COPY migrations migrations
RUN ln -s /app/server/bin/cairn-server /usr/local/bin/cairn-server \
  && install -d -o node -g node -m 0700 /var/lib/cairn
# uid 1000. The application's files belong to root and stay as they are.
USER node
VOLUME /var/lib/cairn
EXPOSE 8787
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/livez').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["cairn-server"]
CMD ["serve"]
