import java.nio.file.{Files, Path}
import java.util.Locale

import scala.jdk.CollectionConverters._

import org.apache.spark.sql.SparkSession
import org.apache.spark.sql.functions.desc

/** Counts the words of a text: `WordCount FILE TOP` writes every count as a result and prints the TOP most frequent.
  *
  * A word is a run of letters, with the apostrophes inside it: "don't" is one word.
  */
object WordCount {
  private val Word = "[a-z]+(?:'[a-z]+)*".r

  def main(args: Array[String]): Unit = args match {
    case Array(file, top) => count(Path.of(file), top.toInt)
    case _ =>
      System.err.println("usage: WordCount FILE TOP")
      sys.exit(2)
  }

  private def count(file: Path, top: Int): Unit = {
    val spark = SparkSession.builder().appName("word-count").getOrCreate()
    import spark.implicits._

    // The file is in the repository, which only the driver's machine has a clone of: the lines travel, not the path.
    val lines = Files.readAllLines(file).asScala.toSeq
    val counts = spark.sparkContext
      .parallelize(lines)
      .flatMap(line => Word.findAllIn(line.toLowerCase(Locale.ROOT)))
      .map(word => (word, 1L))
      .reduceByKey(_ + _)
      .toDF("word", "count")
      .cache()

    counts.write.option("header", true).csv(s"file://${sys.env("MAYFLY_RESULTS")}/counts")

    counts.orderBy(desc("count"), $"word").limit(top).as[(String, Long)].collect().foreach {
      case (word, times) => println(f"$times%7d  $word")
    }
    println(s"${counts.count()} different words in ${lines.size} lines")
    spark.stop()
  }
}
