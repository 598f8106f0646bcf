# docker build --tag goodnet:1 .
# docker run --rm --volume "$PWD/models:/goodnet/models" --volume "$PWD/data:/goodnet/data" \
#     --volume "$PWD/artifacts:/goodnet/artifacts" goodnet:1 goodnet repair models/suspect.h5
FROM python:3.11-slim
WORKDIR /goodnet
COPY pyproject.toml constraints.txt README.md LICENSE prefect.yaml prefect.toml ./
COPY goodnet goodnet
COPY tasks tasks
COPY flows flows
RUN pip install --no-cache-dir --constraint constraints.txt --editable '.[flows,pdf,bom]'
RUN useradd --create-home --uid 1000 goodnet \
    && mkdir models data artifacts \
    && chown goodnet models data artifacts
USER 1000
CMD ["goodnet", "--help"]
