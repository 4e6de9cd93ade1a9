# One image for all processes: what a container is, its command says.
#   docker build -t counterpoise .
#   docker run --rm --env-file .env counterpoise node apps/api/main.ts
FROM node:24-slim
WORKDIR /app
ENV NODE_ENV=production
# What is stable enough for us, and what kafkajs does with its timers; run.mjs says the same.
ENV NODE_OPTIONS="--disable-warning=ExperimentalWarning --disable-warning=TimeoutNegativeWarning"

# Dependencies first: they change seldom. Those for development (PostgreSQL, Node itself, the tests) are left out.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts && npm cache clean --force

# The sources run as they are; nothing is built.
COPY LICENSE ./
COPY sql ./sql
COPY libs ./libs
COPY apps ./apps

USER node
EXPOSE 8080 9100
CMD ["node", "apps/api/main.ts"]
