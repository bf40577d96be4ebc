# The project on one machine, CPU alone, from requirements.lock: docker build -t bertglue . && docker run bertglue
# Untested: this image has been built nowhere yet.
FROM python:3.12-slim
RUN apt-get update \
  && apt-get install --yes --no-install-recommends make git chromium \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /bertglue
COPY . .
RUN make environment
CMD ["make", "book"]
