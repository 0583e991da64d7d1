"""Labels a corpus on many machines with Spark: PAGES.jsonl in, a folder of Parquet out, the table of `make label`.

First: export MLFLOW_TRACKING_URI=… (your store) and PYSPARK_PYTHON=… (a Python that has the model's requirements)
Start: python spark_label.py PAGES.jsonl OUTPUT
"""

import os
import sys

import mlflow
from pyspark.sql import SparkSession
from pyspark.sql import functions as f

RECORD = """page_id string,
    segments array<struct<text: string, role: string, confidence: double,
        scores: struct<main: double, related: double, boilerplate: double>, story: bigint>>,
    stories array<struct<story: bigint, role: string, topic: string, confidence: double, segments: array<bigint>>>,
    model struct<name: string, version: string, family: string>"""

spark = SparkSession.builder.master(os.environ.get("SPARK_MASTER", "local[*]")).appName("newsparts").getOrCreate()
label = mlflow.pyfunc.spark_udf(spark, "models:/newsparts@champion", env_manager="local", result_type=RECORD)
pages = spark.read.json(sys.argv[1], schema="page_id string, segments array<struct<text: string>>")
pages = pages.where("page_id is not null and segments is not null")  # what is no page; `make label` counts it as well
records = pages.select(label(f.struct(f.col("segments.text").alias("segments"), "page_id")).alias("record"))
records.select("record.*").write.mode("error").parquet(sys.argv[2])
spark.stop()
