"""maxspan: run Elastic's detection rules anywhere, with no Elasticsearch."""

__version__ = "0.1.0"
