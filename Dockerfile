# The page of a model in a container. docs/serve.md has the two lines that build and run it.

FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY scratchnet scratchnet
COPY scripts scripts
RUN python3 -m venv --without-pip /opt/scratchnet && \
    python3 -m pip --python /opt/scratchnet/bin/python3 install --no-cache-dir ".[web]"

# The second image gets the packages and nothing that builds any.
FROM python:3.13-slim
RUN useradd --create-home --uid 10001 reader
COPY --from=build /opt/scratchnet /opt/scratchnet
ENV PATH=/opt/scratchnet/bin:$PATH PYTHONUNBUFFERED=1
USER reader
WORKDIR /home/reader
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["scratchnet", "serve"]
CMD ["/model", "--host", "0.0.0.0", "--no-open"]
